#!/bin/sh
# tools/lint finds one planted offence of each kind, and nothing in a clean tree.
# CTest sets SOURCE_DIR and CC and runs it in a scratch folder.
set -eu

rm -rf tree
mkdir -p tree/scripts tree/.ci tree/tools tree/include tree/app tree/tests
cp -r "$SOURCE_DIR/tools/lint" tree/tools/
cp "$SOURCE_DIR/scripts/lib.sh" tree/scripts/
for folder in base tensor image graph cpu nn models diffusion data eval train lib; do mkdir -p tree/src/$folder; done
cd tree
out=build/release
objects=$out/CMakeFiles/m2m_objects.dir
mkdir -p "$objects" $out/CMakeFiles/m2m_base.dir

compile() { # compile FILE.c: to where CMake would put the object
    mkdir -p "$objects/$(dirname "$1")"
    "$CC" -fPIC -fvisibility=hidden -Isrc -c "$1" -o "$objects/$1.o"
}

# Installed or not, shellcheck plays no part here.
mkdir bin
printf '#!/bin/sh\n' >bin/shellcheck
chmod +x bin/shellcheck
PATH=$PWD/bin:$PATH

# ---- A clean tree ----
cat >include/m2m.h <<'C'
#ifndef M2M_H
#define M2M_H
#ifdef __cplusplus
extern "C" {
#endif
int m2m_one(void);
#ifdef __cplusplus
}
#endif
#endif
C
cat >src/graph/good.h <<'C'
#ifndef GRAPH_GOOD_H
#define GRAPH_GOOD_H
int good(void);
#endif
C
cat >src/nn/good.c <<'C'
#include "graph/good.h"
static const char *const names[] = {"a", "b"};
static const int table[] = {1, 2};
int nn_good(int i);
int nn_good(int i)
{
    return names[i & 1][0] + table[i & 1];
}
C
compile src/nn/good.c
echo '__attribute__((visibility("default"))) int m2m_one(void); int m2m_one(void) { return 1; }' >one.c
"$CC" -fPIC -fvisibility=hidden -shared one.c -o $out/libm2m.so
"$CC" -fPIC -fvisibility=hidden -c one.c -o one.o && ar rc $out/libm2m.a one.o
bash tools/lint/lint.sh || { echo "a clean tree was refused"; exit 1; }

# ---- One offence of each kind, with the words that must name it ----
wanted() { # wanted TEXT: lint must fail and print TEXT
    if bash tools/lint/lint.sh >lint.log 2>&1; then echo "not found: $1"; cat lint.log; exit 1; fi
    grep -qF -- "$1" lint.log || { echo "other words than '$1':"; cat lint.log; exit 1; }
    [ "$(grep -c . lint.log)" -le 2 ] || { echo "more than '$1':"; cat lint.log; exit 1; }
    echo "$1" >>tried
}
planted() { # planted FILE TEXT: with the file read from standard input; then takes it away
    cat >"$1"
    wanted "$2"
    rm "$1"
}
compiled() { # compiled FILE TEXT: the same, and compiled
    cat >"$1"
    compile "$1"
    wanted "$2"
    rm "$1" "$objects/$1.o"
}

echo '#include "train/x.h"' | planted src/models/a.c "which is not to its left"
echo '#include "image/x.h"' | planted src/tensor/a.c "which is not to its left"
echo '#include "cpu/x.h"' | planted src/models/a.c "only src/lib and tests choose a backend"
echo '#include "graph/good.h"' | planted app/a.c "app includes graph/good.h"
echo '#include "good.h"' | planted src/graph/a.c 'write "graph/good.h"'
echo '#include "base/error.h"' | planted include/m2m_a.h "a public header includes"
echo '#include "misc/a.h"' | planted src/models/a.c "in no known folder"
printf '#if FAST\nint x;\n#endif\n' | planted src/models/a.c "conditional compilation in models"
printf '#ifdef HAVE_CUDA\n#endif\n' | planted src/lib/a.c "conditional compilation in lib"
awk 'BEGIN { for (i = 0; i < 801; i++) print "/* */" }' | planted src/nn/a.c "file has 801 lines"
awk 'BEGIN { print "int f(void)\n{"; for (i = 0; i < 79; i++) print "    ;"; print "}" }' | planted src/nn/a.c "function has 81 lines"
awk 'BEGIN { print "int f(void) {"; for (i = 0; i < 79; i++) print "    ;"; print "}" }' | planted app/a.c "function has 81 lines"
awk 'BEGIN { printf "/* "; for (i = 0; i < 115; i++) printf "x"; print " */" }' | planted src/nn/a.c "line has 121 columns"
printf 'int x;\t/* */\n' | planted src/nn/a.c "tab"
printf 'int x; \n' | planted src/nn/a.c "space at the end"
echo 'if then' | planted scripts/broken "yntax error"
printf '#include <stdlib.h>\nvoid f(void);\nvoid f(void) { exit(1); }\n' | compiled src/nn/a.c "calls exit"
printf '#include <stdlib.h>\nvoid f(void);\nvoid f(void) { abort(); }\n' | compiled src/nn/a.c "calls abort"
printf '#include <stdlib.h>\nchar *f(void);\nchar *f(void) { return getenv("X"); }\n' | compiled src/nn/a.c "calls getenv"
printf '#include <assert.h>\nvoid f(int x);\nvoid f(int x) { assert(x); }\n' | compiled src/nn/a.c "calls __assert_fail"
printf 'int calls;\n' | compiled src/nn/a.c "mutable variable calls"
printf 'static int calls = 3; int f(void);\nint f(void) { return calls++; }\n' | compiled src/nn/a.c "mutable variable calls"
printf 'int f(void);\nint f(void) { static int n; return n++; }\n' | compiled src/nn/a.c "mutable variable n"
printf 'const char *text = "x";\n' | compiled src/nn/a.c "mutable variable text"
printf '_Thread_local int calls;\n' | compiled src/nn/a.c "mutable variable calls"
cp $out/libm2m.so kept.so
echo 'int helper(void); int helper(void) { return 1; }' >two.c
"$CC" -fPIC -shared two.c -o $out/libm2m.so
wanted "libm2m.so: exports helper"
cp kept.so $out/libm2m.so
"$CC" -fPIC -c two.c -o two.o && ar rc $out/libm2m.a two.o
wanted "libm2m.a: exports helper"
echo "$(grep -c . tried) planted offences found"
