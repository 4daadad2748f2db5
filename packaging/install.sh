#!/bin/sh
# install.sh install|uninstall PREFIX [DESTDIR]: what `make install` and `make uninstall` do. What is installed lies in
# build/lib already, or in what LIBRARIES names. Libraries go to LIBDIR below PREFIX, which is lib where it is not set.
# share/doc/wsabi/installed.txt lists each file, and each directory that was not there before, so that uninstalling takes
# away that and nothing else, whatever version it was, and installing again leaves nothing of an older one.
# The root of the tree is the current directory.
set -eu
export LC_ALL=C

command=$1
prefix=$2
destdir=${3:-}
case $prefix in
'' | '~'*) echo "install.sh: PREFIX=$prefix is not a directory" >&2 && exit 1 ;;
/*) ;;
*) prefix=$PWD/$prefix ;;
esac
root=$destdir$prefix
libraries=${LIBRARIES:-build/lib}
libdir=${LIBDIR:-lib}
list=share/doc/wsabi/installed.txt

abi=$(sed -n 's/^#define WS_ABI_VERSION \([0-9]*\)$/\1/p' include/wsabi.h)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
# The files of the shared library, and what is linked besides the static one.
if [ -e "$libraries/libwsabi.$abi.dylib" ]; then
    shared=libwsabi.$abi.dylib links=libwsabi.dylib loaded=@rpath/$shared
    system_flags='-framework Security -framework CoreFoundation'
    system_libraries='-framework Security;-framework CoreFoundation'
else
    shared=libwsabi.so.$abi.$version links="libwsabi.so.$abi libwsabi.so" loaded=libwsabi.so.$abi
    system_flags='-lutil -lrt -lpthread -lm -ldl' # what `rustc --print native-static-libs` says
    system_libraries='Threads::Threads;${CMAKE_DL_LIBS};m;rt;util'
fi

install_all() {
    if [ -n "$(find Cargo.toml Cargo.lock build.rs src -newer "$libraries/.built-from" 2>/dev/null)" ]; then
        echo 'note: the sources have changed since the library was built; run `make` to rebuild it'
    fi
    new=$(mktemp)
    trap 'write_list; rm -f "$new"' EXIT # also where it fails halfway
    directories_to_the_root
    directory "${list%/*}"
    echo $list >>"$new"

    put 644 include include/wsabi.h include/wsabi.hpp
    put 755 "$libdir" "$libraries/$shared"
    if [ -f "$libraries/$shared.debug" ]; then put 644 "$libdir" "$libraries/$shared.debug"; fi
    put 644 "$libdir" "$libraries/libwsabi.a"
    of=$shared
    for name in $links; do link "$libdir" "$of" "$name" && of=$name; done
    fill_in "$libdir"/pkgconfig wsabi.pc.in
    fill_in "$libdir"/cmake/wsabi cmake/wsabiConfig.cmake.in
    fill_in "$libdir"/cmake/wsabi cmake/wsabiConfigVersion.cmake.in
    put 644 share/doc/wsabi LICENSE-MIT LICENSE-APACHE THIRD-PARTY-NOTICES.txt
    if [ -f "$root/$list" ]; then files_in "$root/$list" | grep -vxFf "$new" | remove_files; fi
}

uninstall_all() {
    if [ ! -f "$root/$list" ]; then
        echo "wsabi is not installed in $root"
        return
    fi
    # Where the directories are is found out while they are there; the deepest goes first.
    directories=$(grep '/$' "$root/$list" | while read -r path; do (cd "$root/$path" && pwd) || :; done 2>/dev/null | sort -ru)
    files=$(files_in "$root/$list")
    status=0
    echo "$files" | remove_files || status=1
    echo "$directories" | while read -r path; do rmdir "$path" 2>/dev/null || :; done
    return $status
}

# Directories that an earlier installation has made are ours, too.
write_list() {
    if [ -f "$root/$list" ]; then grep '/$' "$root/$list" >>"$new" || :; fi
    install -m 644 "$new" "$root/$list"
}

files_in() { grep -v '/$' "$1"; }

# One that cannot be removed does not keep the others.
remove_files() {
    kept=0
    while read -r path; do rm -f "$root/$path" || kept=1; done
    return $kept
}

# put MODE DIRECTORY FILES...
put() {
    mode=$1
    into=$2
    shift 2
    directory "$into"
    for file; do
        echo "$into/$(basename "$file")" >>"$new"
        install -m "$mode" "$file" "$root/$into/"
    done
}

# link DIRECTORY TO NAME
link() {
    echo "$1/$3" >>"$new"
    ln -sf "$2" "$root/$1/$3"
}

# fill_in DIRECTORY TEMPLATE
fill_in() {
    directory "$1"
    name=$(basename "$2" .in)
    echo "$1/$name" >>"$new"
    escaped=$(printf '%s' "$prefix" | sed 's/[&|\\]/\\&/g')
    sed -e "s|@PREFIX@|$escaped|" -e "s|@VERSION@|$version|" -e "s|@ABI@|$abi|" -e "s|@LIBDIR@|$libdir|" \
        -e "s|@SHARED@|${loaded##*/}|" -e "s|@LOADED@|$loaded|" -e "s|@SYSTEM_FLAGS@|$system_flags|" -e "s|@SYSTEM_LIBRARIES@|$system_libraries|" \
        "$2" >"$root/$1/$name"
    chmod 644 "$root/$1/$name"
}

# directory PATH: below the root, made along with those above it.
directory() {
    [ ! -d "$root/$1" ] || return 0
    case $1 in */*) directory "${1%/*}" ;; esac
    mkdir -m 755 "$root/$1"
    echo "$1/" >>"$new"
}

# The root itself and what is above it: ./, ./../ and so on in the list.
directories_to_the_root() {
    path=$root
    name=./
    while [ ! -d "$path" ]; do
        echo "$name" >>"$new"
        path=$(dirname "$path")
        name=$name../
    done
    install -d -m 755 "$root"
}

# The loader finds libraries by its cache, which only root can write, and only what it stands for is of use there.
tell_the_loader() {
    if [ -z "$destdir" ] && [ "$(id -u)" = 0 ]; then PATH=$PATH:/usr/sbin:/sbin ldconfig 2>/dev/null || :; fi
}

${command}_all
tell_the_loader
