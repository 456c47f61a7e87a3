# How everything here is compiled: language, warnings, instrumentation, and the functions that define targets.

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif()

add_library(loopproof_flags INTERFACE)
target_compile_features(loopproof_flags INTERFACE c_std_11)
target_compile_definitions(loopproof_flags INTERFACE _GNU_SOURCE)
target_compile_options(loopproof_flags INTERFACE -Wall -Wextra -fvisibility=hidden -fno-strict-aliasing)
if(LOOPPROOF_WERROR)
  target_compile_options(loopproof_flags INTERFACE -Werror)
endif()

if(LOOPPROOF_SANITIZE)
  if(NOT LOOPPROOF_SANITIZE MATCHES "^(address|undefined|address,undefined|thread)$")
    message(FATAL_ERROR "LOOPPROOF_SANITIZE is 'address,undefined' or 'thread', not '${LOOPPROOF_SANITIZE}'")
  endif()
  # The interpreter is not instrumented: the runtime is preloaded, LD_PRELOAD=$(cc -print-file-name=libasan.so) python ...
  set(loopproof_instrument "-fsanitize=${LOOPPROOF_SANITIZE}" -fno-omit-frame-pointer -g)
  if(LOOPPROOF_SANITIZE MATCHES undefined)
    list(APPEND loopproof_instrument -fno-sanitize-recover=undefined)
  endif()
  if(CMAKE_C_COMPILER_ID MATCHES Clang)
    set(loopproof_shared_runtime -shared-libsan) # for extension modules; programs carry it in themselves
  endif()
endif()
if(LOOPPROOF_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES Clang)
    message(FATAL_ERROR "LOOPPROOF_FUZZ needs clang: set CC=clang")
  endif()
  list(APPEND loopproof_instrument -fsanitize=fuzzer-no-link -g)
  target_compile_definitions(loopproof_flags INTERFACE LOOPPROOF_FUZZ=1)
endif()
if(LOOPPROOF_COVERAGE)
  list(APPEND loopproof_instrument --coverage -O0 -g)
endif()
if(loopproof_instrument)
  target_compile_options(loopproof_flags INTERFACE ${loopproof_instrument})
  target_link_options(loopproof_flags INTERFACE ${loopproof_instrument})
endif()

# loopproof_extension(<target> MODULE <name> PACKAGE <package> SOURCES <file>... [LIBRARIES <library>...])
#
# Defines <target>, the extension module <package>/<name>.<abi>.so, and installs it. The sources are C11; what is not
# marked PyMODINIT_FUNC stays hidden.
function(loopproof_extension target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "MODULE;PACKAGE" "SOURCES;LIBRARIES")
  Python_add_library(${target} MODULE WITH_SOABI ${arg_SOURCES})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${arg_MODULE})
  target_link_libraries(${target} PRIVATE loopproof_flags Threads::Threads ${arg_LIBRARIES})
  target_link_options(${target} PRIVATE ${loopproof_shared_runtime})
  if(loopproof_ipo AND NOT loopproof_instrument AND CMAKE_BUILD_TYPE STREQUAL "Release")
    set_target_properties(${target} PROPERTIES INTERPROCEDURAL_OPTIMIZATION ON)
  endif()
  install(TARGETS ${target} LIBRARY DESTINATION ${arg_PACKAGE} COMPONENT python)
endfunction()

# loopproof_unit_test(<name> SOURCES <file>... [LIBRARIES <library>...] [CASES <case>...])
#
# Defines the program <name> and one CTest test for each case; the program runs the case that its argument names, and
# exits with 77 where the machine cannot run it.
function(loopproof_unit_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBRARIES;CASES")
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE loopproof_flags Threads::Threads ${arg_LIBRARIES})
  foreach(case IN LISTS arg_CASES)
    add_test(NAME ${name}.${case} COMMAND ${name} ${case})
    set_tests_properties(${name}.${case} PROPERTIES TIMEOUT 60 SKIP_RETURN_CODE 77)
  endforeach()
endfunction()
