# What the runs of others' libraries share (tests/sdk/run, tests/webhook/run): packages installed once, a hub for
# each script, outcomes counted. To be sourced, with `here` as the folder of the run.

# installs NAME: requirements.txt and package-lock.json of `here`, outside the tree; `home` is where they are.
installs() {
    local locks
    locks=$(cat "$here/requirements.txt" "$here/package-lock.json" | sha256sum | cut -c1-16)
    home="${XDG_CACHE_HOME:-$HOME/.cache}/$1/$locks"
    if [ ! -e "$home/complete" ]; then
        rm -rf "$home"
        mkdir -p "$home"
        python3 -m venv "$home/venv"
        "$home/venv/bin/pip" install --quiet --require-hashes --requirement "$here/requirements.txt"
        cp "$here/package.json" "$here/package-lock.json" "$home/"
        npm ci --prefix "$home" --silent
        touch "$home/complete"
    fi
    # An ES module finds its packages beside itself.
    cp "$here/check.mjs" "$home/check.mjs"
}

work=$(mktemp -d)
hub=
end_hub() {
    if [ -n "$hub" ]; then
        kill "$hub" 2>/dev/null || true
        wait "$hub" 2>/dev/null || true
        hub=
    fi
}
trap 'end_hub; rm -rf "$work"' EXIT

# checks NAME PARTITIONS MINIMUM COMMAND...: runs a script against a fresh hub of `program`, whose connection
# string is in EVENTHUB_CONNECTION_STRING. Fewer outcomes than MINIMUM mean that the script broke off, which is
# a failure too.
passed=0 failed=0
checks() {
    local name=$1 partitions=$2 minimum=$3 good bad
    shift 3
    mkfifo "$work/$name"
    "$program" emulator --listen 127.0.0.1:0 --hub "checks-$name" --partitions "$partitions" >"$work/$name" &
    hub=$!
    exec 3<"$work/$name"
    local connection=
    read -r -t 60 connection <&3 || true
    EVENTHUB_CONNECTION_STRING=$connection timeout 300 "$@" | tee "$work/$name.out" || true
    exec 3<&-
    end_hub
    good=$(grep -c '^ok ' "$work/$name.out" || true)
    bad=$(grep -c '^FAIL ' "$work/$name.out" || true)
    if [ $((good + bad)) -lt "$minimum" ]; then
        echo "FAIL $name: only $((good + bad)) of $minimum checks came to an end"
        bad=$((bad + 1))
    fi
    passed=$((passed + good)) failed=$((failed + bad))
}

# The last line, and the outcome of all.
concludes() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}
