# tests/FOLDER/NAME_test.c is one cmocka program, run as the CTest test FOLDER/NAME; tests/FOLDER/NAME_test.sh is a script,
# run as `sh NAME_test.sh` with the variables below. Both exit with 0 (passed), 77 (skipped, with the reason printed) or else.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
find_program(M2M_CXX NAMES c++ g++ clang++)

# Tests in these folders run small things and share the machine; all others use every core, so CTest runs them alone.
set(M2M_LIGHT_FOLDERS base image tensor text data graph diffusion lib lint)
cmake_host_system_information(RESULT M2M_CORES QUERY NUMBER_OF_LOGICAL_CORES)
set(M2M_TEST_ENVIRONMENT
  "ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:allocator_may_return_null=1"
  "UBSAN_OPTIONS=print_stacktrace=1")
if(M2M_SANITIZE)
  set(M2M_TEST_TIMEOUT 900)
else()
  set(M2M_TEST_TIMEOUT 300)
endif()

function(m2m_test_properties name)
  string(REGEX MATCH "^[^/]*" folder ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${M2M_TEST_TIMEOUT} SKIP_RETURN_CODE 77 LABELS ${folder}
    ENVIRONMENT "${M2M_TEST_ENVIRONMENT};${ARGN}")
  if(NOT folder IN_LIST M2M_LIGHT_FOLDERS)
    set_tests_properties(${name} PROPERTIES PROCESSORS ${M2M_CORES})
  endif()
endfunction()

file(GLOB_RECURSE M2M_TEST_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/*_test.c)
foreach(source ${M2M_TEST_SOURCES})
  file(RELATIVE_PATH name ${PROJECT_SOURCE_DIR}/tests ${source})
  string(REGEX REPLACE "_test\\.c$" "" name ${name})
  string(REPLACE "/" "_" target test_${name})
  # Code that several tests share: tests/FOLDER/*.c that are no tests themselves.
  get_filename_component(folder ${source} DIRECTORY)
  file(GLOB shared CONFIGURE_DEPENDS ${folder}/*.c)
  list(FILTER shared EXCLUDE REGEX "(_test|\\.inc)\\.c$")
  add_executable(${target} ${source} ${shared})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${target} PRIVATE TEST_DIR="${PROJECT_SOURCE_DIR}/tests"
    SOURCE_DIR="${PROJECT_SOURCE_DIR}" M2M_PROGRAM="${PROJECT_BINARY_DIR}/m2m")
  target_link_libraries(${target} PRIVATE m2m_internal PkgConfig::CMOCKA)
  if(TARGET m2m AND name MATCHES "^system/")
    add_dependencies(${target} m2m)
  endif()
  add_test(NAME ${name} COMMAND ${target} WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
  m2m_test_properties(${name})
endforeach()

file(GLOB_RECURSE M2M_TEST_SCRIPTS CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/*_test.sh)
foreach(script ${M2M_TEST_SCRIPTS})
  file(RELATIVE_PATH name ${PROJECT_SOURCE_DIR}/tests ${script})
  string(REGEX REPLACE "_test\\.sh$" "" name ${name})
  string(REPLACE "/" "_" folder ${name})
  set(folder ${PROJECT_BINARY_DIR}/scratch/${folder})
  file(MAKE_DIRECTORY ${folder})
  add_test(NAME ${name} COMMAND sh ${script} WORKING_DIRECTORY ${folder})
  m2m_test_properties(${name} "SOURCE_DIR=${PROJECT_SOURCE_DIR}" "BUILD_DIR=${PROJECT_BINARY_DIR}"
    "CC=${CMAKE_C_COMPILER}" "CXX=${M2M_CXX}" "CMAKE=${CMAKE_COMMAND}" "M2M_PROGRAM=${PROJECT_BINARY_DIR}/m2m"
    "SANITIZE=$<BOOL:${M2M_SANITIZE}>")
endforeach()
