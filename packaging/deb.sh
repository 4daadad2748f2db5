#!/bin/sh
# deb.sh source|build: makes a Debian source package of the tree as it is in build/deb, from packaging/debian; `build` builds
# and checks it (lintian) too, in the root `debian` of tests/root.sh. `make deb` calls it.
#
# The crates are a component of the source package, vendor/, which this generates: those that the library needs on Linux,
# and the manifests alone of the others, which Cargo.lock names.
# The root of the tree is the current directory.
set -eu
export LC_ALL=C

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
work=build/deb
source=$work/wsabi-$version
targets='x86_64 aarch64 i686 s390x powerpc64le riscv64gc loongarch64'

main() {
    umask 022
    rm -rf $work
    mkdir -p "$source"
    git ls-files -z --cached --others --exclude-standard -- . ':!packaging/debian' |
        tar --create --null --files-from=- | tar --extract -C "$source"
    pack "wsabi_$version.orig" "$source"
    vendor
    pack "wsabi_$version.orig-vendor" "$source/vendor"
    cp -R packaging/debian "$source/debian"
    changelog >"$source/debian/changelog"
    copyright >"$source/debian/copyright"
    [ "$1" = build ] || return 0
    sh tests/root.sh run debian sh -c '
        set -e
        rm -rf /output/deb && mkdir /output/deb && cp -a "$1"/. /output/deb/
        cd /output/deb/wsabi-*
        # Not the one of the clone.
        unset CARGO CARGO_HOME CARGO_TARGET_DIR
        dpkg-buildpackage -us -uc >/output/deb/build.log 2>&1 || { tail -n 40 /output/deb/build.log && exit 1; }
        cd ..
        lintian --allow-root --fail-on error --tag-display-limit 0 ./*.changes' sh "/wsabi/$work"
    cp build/root-debian/deb/*.deb build/root-debian/deb/*.dsc build/root-debian/deb/*.changes $work/
    ls $work/*.deb
}

pack() { # NAME DIRECTORY
    tar --create --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --mtime="@$SOURCE_DATE_EPOCH" \
        -C "$(dirname "$2")" "$(basename "$2")" | gzip -9n >"$work/$1.tar.gz"
}

vendor() {
    cargo vendor --quiet --locked --versioned-dirs "$source/vendor" >/dev/null
    for processor in $targets; do
        cargo tree --locked --edges normal,build --prefix none --format '{p}' --target "$processor-unknown-linux-gnu"
    done | sed -n 's/^\([^ ]*\) v\([^ ]*\).*/\1-\2/p' | sort -u >$work/needed
    for crate in "$source"/vendor/*; do
        if ! grep -qx "$(basename "$crate")" $work/needed; then stub "$crate"; fi
    done
}

# stub CRATE: its manifest is read, but it is not built.
stub() {
    find "$1" -mindepth 1 -maxdepth 1 ! -name Cargo.toml ! -name .cargo-checksum.json -exec rm -rf {} +
    mkdir "$1/src" && : >"$1/src/lib.rs"
    path=$(awk '/^\[lib\]/ { inside = 1; next } /^\[/ { inside = 0 } inside && /^path = / { print $3 }' "$1/Cargo.toml" | tr -d '"')
    if [ -n "$path" ]; then mkdir -p "$(dirname "$1/$path")" && : >"$1/$path"; fi
    sed -i 's/"files":{[^}]*}/"files":{}/' "$1/.cargo-checksum.json"
}

changelog() {
    cat <<END
wsabi ($version-1) unstable; urgency=medium

  * Version $version: see CHANGELOG.md.

 -- $(sed -n 's/^Maintainer: //p' packaging/debian/control)  $(date -R -u -d "@$SOURCE_DATE_EPOCH")
END
}

# Each crate by its manifest; the texts of their licences are in THIRD-PARTY-NOTICES.txt, and in vendor/.
copyright() {
    cat packaging/debian/copyright.in
    python3 - "$source/vendor" $work/needed <<'END'
import json, pathlib, re, sys
vendor, needed = pathlib.Path(sys.argv[1]), set(pathlib.Path(sys.argv[2]).read_text().split())
names = set()
for crate in sorted(vendor.iterdir()):
    manifest = (crate / "Cargo.toml").read_text()
    authors = re.search(r"(?ms)^authors = \[(.*?)\]", manifest)
    people = re.findall(r'"(.*?)"', authors[1]) if authors else []
    declared = re.search(r'(?m)^license = "(.*)"', manifest)
    licence = (declared[1] if declared else "see-its-file").replace("/", " OR ").replace(" OR ", " or ").replace(" AND ", " and ")
    licence = licence.replace("(", "").replace(")", "").replace(" WITH ", "-with-")
    names.update(re.split(" or | and ", licence))
    print(f"\nFiles: vendor/{crate.name}/*\nCopyright: {', '.join(people) or 'the developers of ' + crate.name}\nLicense: {licence}")
for name in sorted(names - {"MIT", "Apache-2.0", ""}):
    print(f"\nLicense: {name.strip()}\n Its text is in the file of that licence in the directory of each crate, and in\n THIRD-PARTY-NOTICES.txt.")
END
}

main "$@"
