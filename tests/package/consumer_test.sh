#!/bin/sh
# What `cmake --install` lays down can be used: by find_package(m2m), shared and static, by pkg-config, shared and static,
# and as a program; also after the folder has been moved.
# CTest sets SOURCE_DIR, BUILD_DIR, CC, CMAKE and runs it in a scratch folder.
set -eu

# Not in the scratch folder: its path may hold spaces, and then pkg-config's flags cannot be split into words.
rm -rf consumer
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$CMAKE" --install "$BUILD_DIR" --prefix "$scratch/staged" >install.log
mv "$scratch/staged" "$scratch/prefix"
prefix=$scratch/prefix

library=$(find "$prefix" -name 'libm2m.so')
[ -n "$library" ] || { echo "no libm2m.so was installed"; exit 1; }
libdir=$(dirname "$library")
for file in include/m2m.h bin/m2m share/man/man1/m2m.1; do
    [ -e "$prefix/$file" ] || { echo "$file was not installed"; exit 1; }
done
foreign=$(nm -D --defined-only "$library" | awk '{print $3}' | grep -v '^m2m_' || true)
[ -z "$foreign" ] || { echo "libm2m.so exports: $foreign"; exit 1; }
soname=$(readelf -d "$library" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
[ "$soname" = "$(basename "$(find "$libdir" -name 'libm2m.so.?')")" ] || { echo "soname is '$soname'"; exit 1; }

version=$("$prefix/bin/m2m" --version | sed -n '1s/^m2m \([0-9.]*\).*/\1/p')
[ -n "$version" ] || { echo "m2m --version says: $("$prefix/bin/m2m" --version)"; exit 1; }

run() { # run NAME PROGRAM: it must print the program's version
    said=$(LD_LIBRARY_PATH=$libdir "$2")
    [ "$said" = "$version" ] || { echo "$1: said '$said', wanted '$version'"; exit 1; }
    echo "$1: m2m $said"
}

"$CMAKE" -S "$SOURCE_DIR/tests/package/consumer" -B consumer -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$CC" \
    -DWANTED="$version" >consumer.log 2>&1 || { cat consumer.log; exit 1; }
"$CMAKE" --build consumer >>consumer.log 2>&1 || { cat consumer.log; exit 1; }
run "find_package, shared" consumer/consumer_shared
run "find_package, static" consumer/consumer_static

PKG_CONFIG_PATH=$libdir/pkgconfig
export PKG_CONFIG_PATH
main=$SOURCE_DIR/tests/package/consumer/main.c
# shellcheck disable=SC2046 # lists of flags
"$CC" "$main" -o pc_shared $(pkg-config --cflags --libs m2m)
run "pkg-config, shared" ./pc_shared
mkdir -p only_static && cp "$libdir/libm2m.a" only_static/ # with no other -L, -lm2m finds the archive
# shellcheck disable=SC2046
"$CC" "$main" -o pc_static $(pkg-config --cflags m2m) -L only_static \
    $(pkg-config --static --libs m2m | tr ' ' '\n' | grep -v '^-L')
run "pkg-config, static" ./pc_static
