# syntax=docker/dockerfile:1

FROM rust:1.95-slim-bookworm AS build
# The C compiler of this image is all that the C parts (aws-lc-sys, SQLite) need on x86_64 and aarch64.
WORKDIR /build
COPY . .
# The caches outlive the step, the binary must not lie in one. /data gets its owner here, because the last image has no shell.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin loopin-auth \
    && cp target/release/loopin-auth /usr/local/bin/loopin-auth \
    && install --directory --owner=65532 --group=65532 --mode=0700 /data

# glibc, libgcc, CA certificates and the user 65532, of the Debian that the binary was built on. No shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /usr/local/bin/loopin-auth /usr/local/bin/loopin-auth
# Where the SQLite file lies when no DATABASE_URL is given. The only folder that the server writes to: the rest may be read-only.
COPY --from=build --chown=65532:65532 /data /data
WORKDIR /data
# As a number, so that Kubernetes sees that it is not root.
USER 65532:65532
# Also in dev, which listens on 127.0.0.1 otherwise: nobody outside of the container would reach it.
ENV BIND_ADDR=0.0.0.0:8000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["/usr/local/bin/loopin-auth", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/loopin-auth"]
