# Checks one C file after another by their text; prints "FILE:LINE: what is wrong". POSIX awk, so it runs everywhere.
# Sets level[folder] from LAYERS ("base:0 tensor:1 …"), given with -v.

function report(line, text) { printf "%s:%d: %s\n", FILENAME, line, text; bad++ }

# The folder of src/ that a path lies in; "app", "include", "tests" or "tools" for the others.
function folder_of(path,    part, n) {
    n = split(path, part, "/")
    return part[1] == "src" && n > 2 ? part[2] : part[1]
}

function finish_file() {
    if (file == "") return
    if (lines > MAX_FILE && !table) printf "%s:%d: file has %d lines, at most %d allowed\n", file, lines, lines, MAX_FILE
    if (open_at) printf "%s:%d: function never ends at column 0\n", file, open_at
}

BEGIN {
    n = split(LAYERS, row, " ")
    for (i = 1; i <= n; i++) { split(row[i], pair, ":"); level[pair[1]] = pair[2] }
}

FNR == 1 {
    finish_file()
    file = FILENAME; table = 0; open_at = 0; guard = ""; in_comment = 0
    folder = folder_of(FILENAME)
    header = FILENAME ~ /\.(h|def)$/
}

{
    lines = FNR
    text = $0
    gsub(/[\200-\277]/, "", text)                       # count characters of UTF-8, not bytes; .def files are tables
    if (length(text) > MAX_LINE && FILENAME !~ /\.def$/) report(FNR, "line has " length(text) " columns, at most " MAX_LINE " allowed")
    if (text ~ /[ \t]$/) report(FNR, "space at the end of the line")
    if (text ~ /\t/) report(FNR, "tab")
}

FNR <= 12 && /lint: table/ { table = 1 }

# A function's body: from a brace at column 0, or at the end of a line that starts at column 0 with a ")" before it.
!open_at && (/^\{/ || /^[A-Za-z_].*\) *\{$/) && !/^(struct|union|enum|typedef|extern|#)/ { open_at = FNR }
open_at && /^\}/ {
    size = FNR - open_at + 1
    if (size > MAX_FUNCTION) report(open_at, "function has " size " lines, at most " MAX_FUNCTION " allowed")
    open_at = 0
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, quote, "\"")
    target = quote[2]
    n = split(target, part, "/")
    if (folder == "tests" || folder == "tools") next
    if (folder == "include") {
        if (n > 1) report(FNR, "a public header includes " target)
        next
    }
    if (n < 2) {
        # "m2m.h" and the like are public headers; other bare names would be files of the same folder.
        if (target !~ /^m2m/ && folder != "app") report(FNR, "write \"" folder "/" target "\", not \"" target "\"")
        next
    }
    if (folder == part[1] || part[1] == "generated") next
    if (folder == "app") {
        if (part[1] in level && part[1] != "base") report(FNR, "app includes " target "; only public headers and base/ are open to it")
        next
    }
    if (!(part[1] in level)) { report(FNR, target " is in no known folder"); next }
    if (!(folder in level)) { report(FNR, "src/" folder " is no known folder"); next }
    if (level[part[1]] >= level[folder]) report(FNR, "src/" folder " includes " target ", which is not to its left")
    if (part[1] == "cpu" && folder != "lib") report(FNR, "src/" folder " includes " target "; only src/lib and tests choose a backend")
}

# No conditional compilation where the models and what is above them live.
folder ~ /^(nn|models|diffusion|data|eval|train|lib|app)$/ && /^[ \t]*#[ \t]*(if|ifdef|ifndef|elif)/ {
    if (header && /#[ \t]*ifndef/ && guard == "") { guard = $NF; next }
    if (/#[ \t]*ifdef[ \t]+__cplusplus/) next
    report(FNR, "conditional compilation in " folder)
}

END { finish_file() }
