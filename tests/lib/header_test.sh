#!/bin/sh
# Each header of include/ compiles alone as C11 and as C++, and the program in the first comment of m2m.h (the indented
# lines after "Example:") compiles as both, links with the shared library, and ends with status 0.
# CTest sets SOURCE_DIR, BUILD_DIR, CC, CXX, SANITIZE and runs it in a scratch folder.
set -eu

warnings="-Wall -Wextra -Werror -Wundef -pedantic"
sanitize=
if [ "${SANITIZE:-0}" = 1 ]; then sanitize="-fsanitize=address,undefined"; fi
case "${CXX:-NOTFOUND}" in *NOTFOUND) echo "no C++ compiler found"; exit 1 ;; esac

count=0
for header in "$SOURCE_DIR"/include/*.h; do
    name=$(basename "$header")
    # Twice, so that a missing include guard shows.
    printf '#include <%s>\n#include <%s>\n' "$name" "$name" >alone.c
    cp alone.c alone.cc
    # shellcheck disable=SC2086 # lists of flags
    "$CC" -std=c11 $warnings -I "$SOURCE_DIR/include" -fsyntax-only alone.c
    # shellcheck disable=SC2086
    "$CXX" -std=c++11 $warnings -I "$SOURCE_DIR/include" -fsyntax-only alone.cc
    count=$((count + 1))
done
[ "$count" -gt 0 ] || { echo "no header in $SOURCE_DIR/include"; exit 1; }
echo "$count headers compile alone as C11 and C++11"

awk '
    /\*\// { exit }
    !inside && /Example:/ { inside = 1; next }
    inside {
        sub(/^ \*/, "")
        if ($0 ~ /^     /) { print substr($0, 6); started = 1 }
        else if ($0 ~ /^ *$/) print ""
        else if (started) exit
    }' "$SOURCE_DIR/include/m2m.h" >example.c
grep -q 'int main' example.c || { echo "m2m.h: no program after \"Example:\" in the first comment; found:"; cat example.c; exit 1; }
cp example.c example.cc
# shellcheck disable=SC2086
"$CC" -std=c11 $warnings $sanitize -I "$SOURCE_DIR/include" example.c -o example_c -L "$BUILD_DIR" -lm2m
# C++ would have `= {}` where C11 must write `= {0}`.
# shellcheck disable=SC2086
"$CXX" -std=c++11 $warnings -Wno-missing-field-initializers $sanitize -I "$SOURCE_DIR/include" example.cc -o example_cc \
    -L "$BUILD_DIR" -lm2m
for program in ./example_c ./example_cc; do
    echo "$program:"
    LD_LIBRARY_PATH=$BUILD_DIR "$program"
done
