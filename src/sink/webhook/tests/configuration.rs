//! What is said of settings that are wrong, and what nobody may see of those that are right.

use super::*;

#[track_caller]
fn check(toml: &str, expected: &[&str]) {
    let (_, mistakes) = read(table(toml));
    let mut said: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    let mut expected: Vec<String> = expected
        .iter()
        .map(|text| format!("sink[0].{text}"))
        .collect();
    said.sort();
    expected.sort();
    assert_eq!(said, expected, "{toml}");
}

const URL: &str = "url = \"https://example.com/in\"\n";

#[test]
fn a_url_is_all_that_is_needed() {
    check(URL, &[]);
    check("", &["url: is missing; give it, or url_file"]);
}

#[test]
fn every_mistake_is_told_at_once() {
    check(
        "url = \"https://user:hunter2@example.com\"\nmode = \"dataverse\"\nbody = \"context\"\nbatch_events = 5\ntimeout = \"0s\"\nproxy = \"socks5://hunter2\"\ntimeuot = 3\ngzip = \"yes\"\n[auth]\ntype = \"baerer\"\n[headers]\nHost = \"x\"\n[status]\n404 = \"drop\"\n[signature]\nsecret = \"hunter2\"\n[retry]\nfirst = \"0s\"",
        &[
            "url: has a user or a password in it; give them in the table auth",
            "body: belongs to mode = \"plain\"; the other modes say themselves what is sent",
            "batch_events: must be 1, for this mode sends one event with each request",
            "timeout: must be more than nothing",
            "proxy: must begin with http://",
            "timeuot: unknown key; did you mean \"timeout\"?",
            "gzip: must be true or false",
            "auth.type: unknown type of auth; did you mean \"bearer\"?",
            "headers.Host: is a header that the sink sets itself",
            "status.404: must be one of accept, retry, hold, refuse, pause",
            "signature.secret: must be \"whsec_\" and base64 behind it",
            "retry.first: must be more than nothing and at most `limit`",
        ],
    );
}

#[test]
fn credentials_that_cannot_be_sent_are_told() {
    for (auth, expected) in [
        ("", "auth.type: is missing; give a text"),
        (
            "type = \"digest\"",
            "auth.type: unknown type of auth; there is basic, bearer, header, query",
        ),
        (
            "type = \"basic\"\nuser = \"a\"",
            "auth.password: is missing; give it, or password_file",
        ),
        (
            "type = \"basic\"\nuser = \"a:b\"\npassword = \"hunter2\"",
            "auth.user: has a colon or a line end in it, which basic authentication cannot carry",
        ),
        ("type = \"bearer\"\ntoken = \"\"", "auth.token: is empty"),
        (
            "type = \"bearer\"\ntoken = \"hunter2\\n3\"",
            "auth.token: has characters in it that a header cannot carry",
        ),
        (
            "type = \"bearer\"\ntoken = \"hunter2\"\nuser = \"a\"",
            "auth.user: unknown key; the keys here are type, token, token_file",
        ),
        (
            "type = \"header\"\nname = \"a b\"\nvalue = \"hunter2\"",
            "auth.name: is no name of a header",
        ),
        (
            "type = \"header\"\nname = \"content-type\"\nvalue = \"hunter2\"",
            "auth.name: is a header that the sink sets itself",
        ),
        (
            "type = \"query\"\nname = \"\"\nvalue = \"hunter2\"",
            "auth.name: is empty",
        ),
        (
            "type = \"query\"\nname = \"code\"\nvalue_file = \"/dev/null\"",
            "auth.value_file: is empty",
        ),
    ] {
        check(&format!("{URL}[auth]\n{auth}"), &[expected]);
    }
    check(
        "url = \"https://example.com/?code=hunter2\"\n[auth]\ntype = \"query\"\nname = \"code\"\nvalue = \"hunter2\"",
        &["auth.name: names a parameter that the url has already"],
    );
}

#[test]
fn headers_that_collide_are_told() {
    check(
        &format!(
            "{URL}[auth]\ntype = \"header\"\nname = \"X-Key\"\nvalue = \"hunter2\"\n[headers]\nx-key = \"b\""
        ),
        &["headers.x-key: is the header that the table auth sets"],
    );
    check(
        &format!("{URL}mode = \"cloudevents-binary\"\n[headers]\nce-id = \"b\""),
        &["headers.ce-id: is a header that the mode sets"],
    );
    check(
        &format!("{URL}batch_events = 2\n[headers]\nx-a = \"{{table}}\"\nx-b = \"fixed\""),
        &[
            "headers.x-a: has a field of one event in it, and a request has several; see batch_events",
        ],
    );
}

#[test]
fn a_secret_of_two_is_told_where_it_is() {
    check(
        &format!("{URL}[signature]\nprevious_secret = \"whsec_hunter2\""),
        &[
            "signature.secret: is missing; give it, or secret_file",
            "signature.previous_secret: must be \"whsec_\" and base64 behind it",
        ],
    );
}

#[test]
fn whom_a_proxy_is_told_of_stands_in_one_place() {
    let user = "proxy_user = \"u\"\n";
    let password = "proxy_password = \"hunter2\"\n";
    for (keys, expected) in [
        (
            format!("proxy = \"http://u:hunter2@proxy\"\n{user}{password}"),
            "proxy_user: is given twice: here and in the URL of the proxy",
        ),
        (
            format!("{user}{password}"),
            "proxy_user: is of no use without the http:// proxy it is for",
        ),
        (
            format!("proxy = \"http://proxy\"\n{user}"),
            "proxy_user: is of no use without proxy_password or proxy_password_file",
        ),
        (
            format!("proxy = \"http://proxy\"\nproxy_user = \"u:x\"\n{password}"),
            "proxy_user: must not have a colon or a control character in it",
        ),
        (
            format!("proxy = \"ftp://proxy\"\n{user}{password}"),
            "proxy: must begin with http://",
        ),
    ] {
        check(&format!("{URL}{keys}"), &[expected]);
    }
}

#[test]
fn files_for_tls_are_read_and_told() {
    let no = "cannot be read: No such file or directory (os error 2)";
    check(
        &format!("{URL}[tls]\nca_file = \"/none\"\nclient_key_file = \"/none\""),
        &[
            &format!("tls.ca_file: /none {no}"),
            &format!("tls.client_key_file: /none {no}"),
            "tls.client_key_file: is of no use without client_certificate_file",
        ],
    );
    check(
        &format!("{URL}[tls]\nca_file = \"/dev/null\""),
        &["tls.ca_file: holds no certificate in PEM form: there is no such section in it"],
    );
    check(
        "url = \"http://example.com/in\"\n[tls]\n",
        &["tls: is of no use, for the url begins with http://"],
    );
}

#[test]
fn dead_letters_need_room_for_the_reason() {
    for (toml, expected) in [
        ("", None),
        ("batch_events = 5", None),
        (
            "body = \"original\"",
            Some("its body is not \"message\", which alone has room for the reason"),
        ),
        (
            "mode = \"cloudevents-structured\"",
            Some("its mode is not \"plain\", which alone has room for the reason"),
        ),
    ] {
        let (config, _) = parse(table(&format!("{URL}{toml}")));
        assert_eq!(config.unfit_for_dead_letters(), expected, "{toml}");
    }
}

#[test]
fn nobody_sees_a_secret() {
    let toml = "url = \"https://example.com/hunter2?sig=hunter2\"\nproxy = \"http://u:hunter2@127.0.0.1:1\"\n[auth]\ntype = \"bearer\"\ntoken = \"hunter2\"\n[signature]\nsecret = \"whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg==\"";
    let (webhook, mistakes) = read(table(toml));
    assert!(mistakes.is_empty(), "{mistakes:?}");
    let shown = format!(
        "{webhook:?} {:?}",
        Endpoint::new(read(table(toml)).0).unwrap()
    );
    assert!(
        !shown.contains("hunter2") && !shown.contains("aHVudGVy"),
        "{shown}"
    );
    assert!(shown.contains("example.com"), "{shown}");
}
