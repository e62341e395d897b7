#!/usr/bin/env bash
# The PgBouncer of Debian 13 (1.24), in a folder beside what is installed: for the tests and the chaos run with a newer version than
# that of an older Debian. Its libraries come with it, its C library too, so nothing of the machine changes.
#
# usage: tests/pgbouncer/newest.sh <new folder>
# Then put the folder before the PATH. Other users must be able to enter it: PgBouncer does not run as root. Needs Debian's apt and
# dpkg, and asks where this Debian gets its packages from.
set -euo pipefail
folder=$(realpath -m "$1")
keys=/usr/share/keyrings/debian-archive-keyring.gpg
mkdir -p "$folder"/apt/{lists/partial,cache/archives/partial} "$folder/root"
: >"$folder/apt/status"
site() {
    apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | awk '/\/debian\/*$/ && !found++'
}
# Only what was updated once is listed.
[[ -n $(site) ]] || apt-get -qq update
echo "deb [signed-by=$keys] $(site) trixie main" >"$folder/apt/sources.list"
apt() {
    apt-get -qq -o Dir::Etc::sourcelist="$folder/apt/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$folder/apt/lists" \
        -o Dir::Cache="$folder/apt/cache" -o Dir::State::status="$folder/apt/status" -o APT::Sandbox::User="$(id -un)" \
        -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}
apt update
cd "$folder/apt"
apt download pgbouncer libc6 libcares2 libevent-2.1-7t64 libpam0g libssl3t64 libsystemd0 libaudit1 libcap-ng0 libcap2 libgcc-s1 libzstd1 zlib1g
for package in *.deb; do dpkg -x "$package" "$folder/root"; done
loader=$(echo "$folder"/root/usr/lib/*-linux-gnu*/ld-linux-*.so.*)
cat >"$folder/pgbouncer" <<END
#!/bin/sh
exec $loader --library-path $(dirname "$loader") $folder/root/usr/sbin/pgbouncer "\$@"
END
chmod +x "$folder/pgbouncer"
chmod -R a+rX "$folder"
cd "$folder"
rm -r apt
"$folder/pgbouncer" --version | head -n 1
