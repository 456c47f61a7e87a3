# What is needed from the system: OpenSSL for the fault kit's peers; CPython's headers and libuv for the extension modules.

find_package(PkgConfig QUIET)
if(NOT PKG_CONFIG_FOUND)
  message(FATAL_ERROR "pkg-config is missing (Debian and Ubuntu: apt-get install pkg-config libssl-dev libuv1-dev)")
endif()
pkg_check_modules(OPENSSL QUIET IMPORTED_TARGET "libssl>=3.0" "libcrypto>=3.0")
if(NOT OPENSSL_FOUND)
  message(FATAL_ERROR "OpenSSL >= 3.0 is missing (Debian and Ubuntu: apt-get install libssl-dev; Fedora: dnf install openssl-devel)")
endif()

# The peers have an OpenSSL of their own, in the module, where its archives are at hand: another interpreter may have
# another, of the same name, and a process that forks or ends in the middle of theirs must not harm that of the loop.
find_library(OPENSSL_SSL_ARCHIVE NAMES libssl.a HINTS ${OPENSSL_libssl_LIBDIR} NO_CACHE)
find_library(OPENSSL_CRYPTO_ARCHIVE NAMES libcrypto.a HINTS ${OPENSSL_libcrypto_LIBDIR} NO_CACHE)
add_library(loopproof_openssl INTERFACE)
if(OPENSSL_SSL_ARCHIVE AND OPENSSL_CRYPTO_ARCHIVE)
  list(FILTER OPENSSL_STATIC_LIBRARIES EXCLUDE REGEX "^(ssl|crypto)$")
  target_include_directories(loopproof_openssl INTERFACE ${OPENSSL_INCLUDE_DIRS})
  target_link_libraries(loopproof_openssl INTERFACE
    ${OPENSSL_SSL_ARCHIVE} ${OPENSSL_CRYPTO_ARCHIVE} ${OPENSSL_STATIC_LIBRARIES})
  target_link_options(loopproof_openssl INTERFACE "-Wl,--exclude-libs,libssl.a:libcrypto.a")
else()
  target_link_libraries(loopproof_openssl INTERFACE PkgConfig::OPENSSL)
endif()

if(LOOPPROOF_EXTENSIONS)
  find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)
  pkg_check_modules(LIBUV QUIET IMPORTED_TARGET "libuv>=1.44")
  if(NOT LIBUV_FOUND)
    message(FATAL_ERROR "libuv >= 1.44 is missing (Debian and Ubuntu: apt-get install libuv1-dev; Fedora: dnf install libuv-devel)")
  endif()
endif()

include(CheckIPOSupported)
check_ipo_supported(RESULT loopproof_ipo OUTPUT loopproof_ipo_reason LANGUAGES C)
