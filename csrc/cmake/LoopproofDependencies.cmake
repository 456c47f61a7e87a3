# What is needed from the system: OpenSSL for the fault kit's peers; CPython's headers and libuv for the extension modules.

find_package(PkgConfig QUIET)
if(NOT PKG_CONFIG_FOUND)
  message(FATAL_ERROR "pkg-config is missing (Debian and Ubuntu: apt-get install pkg-config libssl-dev libuv1-dev)")
endif()
pkg_check_modules(OPENSSL QUIET IMPORTED_TARGET "libssl>=3.0" "libcrypto>=3.0")
if(NOT OPENSSL_FOUND)
  message(FATAL_ERROR "OpenSSL >= 3.0 is missing (Debian and Ubuntu: apt-get install libssl-dev; Fedora: dnf install openssl-devel)")
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
