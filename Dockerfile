# dataverse-listener in a container: no root, no shell, nothing but the program and what it links to.
#
#   docker build -t dataverse-listener .
#   docker build -t dataverse-listener:emulator --build-arg FEATURES=emulator .
#
# It runs with a read-only root. What it keeps belongs into a volume at /var/lib/dataverse-listener.

# The tag of the official Rust image; the oldest is rust-version in Cargo.toml.
ARG RUST_VERSION=1.89
ARG BUILD_IMAGE=docker.io/library/rust:${RUST_VERSION}-bookworm
# With the C library of the other one, and certificate authorities: debian:bookworm-slim has none.
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:latest

FROM ${BUILD_IMAGE} AS build
# With "emulator": the hub in the box, and with it `demo`, `emulator` and `simulate`.
ARG FEATURES=
ARG PROFILE=release
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo install --path . --locked --root /out/usr --profile "$PROFILE" \
        --no-default-features --features "$FEATURES" \
    && mkdir -p /out/var/lib/dataverse-listener

# A program that is built already takes the place of the stage above:
#   docker build --build-context build=DIR .    with DIR/out/usr/bin/dataverse-listener, and an empty
#   DIR/out/var/lib/dataverse-listener
FROM ${RUNTIME_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="dataverse-listener" \
      org.opencontainers.image.description="Receives Microsoft Dataverse / Dynamics 365 events from Azure Event Hubs, decodes them and delivers them to sinks" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY LICENSE-APACHE LICENSE-MIT /usr/share/doc/dataverse-listener/
COPY --from=build /out/usr/bin/dataverse-listener /usr/bin/dataverse-listener
# So that a volume that is mounted there for the first time belongs to the user below.
COPY --from=build --chown=10001:10001 /out/var/lib/dataverse-listener /var/lib/dataverse-listener
# Where secrets of Docker and Podman are: relative names of secret files are looked for there.
ENV CREDENTIALS_DIRECTORY=/run/secrets
USER 10001:10001
WORKDIR /var/lib/dataverse-listener
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["/usr/bin/dataverse-listener", "health"]
ENTRYPOINT ["/usr/bin/dataverse-listener"]
# As /etc/dataverse-listener/config.toml says, where `check` looks too.
CMD ["run"]
