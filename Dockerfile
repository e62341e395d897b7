# syntax=docker/dockerfile:1

FROM rust:1.95-slim-bookworm AS build
# The C compiler of this image is all that the C parts (aws-lc-sys, SQLite) need on x86_64 and aarch64.
WORKDIR /build
COPY . .
# The caches outlive the step, the binary must not lie in one.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin loopin-auth \
    && cp target/release/loopin-auth /usr/local/bin/loopin-auth

FROM debian:bookworm-slim
# Twilio is reached over TLS.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin loopin \
    && install --directory --owner=loopin --group=loopin /data
COPY --from=build /usr/local/bin/loopin-auth /usr/local/bin/loopin-auth
USER loopin
# Where the SQLite file lies when no DATABASE_URL is given.
WORKDIR /data
# Also in dev, which listens on 127.0.0.1 otherwise: nobody outside of the container would reach it.
ENV BIND_ADDR=0.0.0.0:8000
EXPOSE 8000
# The image has no curl; bash opens the connection itself. Change the port here if you change it in BIND_ADDR.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8000 && printf 'GET /api/health HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["/usr/local/bin/loopin-auth"]
