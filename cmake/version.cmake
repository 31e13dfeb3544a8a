# Writes OUT, a header with the version and the commit; leaves it alone (and so recompiles nothing) if it would not change.
cmake_policy(VERSION 3.25)
execute_process(COMMAND git -C ${SOURCE} rev-parse --short=12 HEAD
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(commit "unknown")
endif()
file(CONFIGURE OUTPUT ${OUT} @ONLY CONTENT "/* Made by cmake/version.cmake. */
#define M2M_VERSION_TEXT \"@VERSION@\"
#define M2M_COMMIT_TEXT \"@commit@\"
")
