# What the extension modules need from the system: CPython's headers and libuv.

find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)

find_package(PkgConfig QUIET)
if(NOT PKG_CONFIG_FOUND)
  message(FATAL_ERROR "pkg-config is missing (Debian and Ubuntu: apt-get install pkg-config libuv1-dev)")
endif()
pkg_check_modules(LIBUV QUIET IMPORTED_TARGET "libuv>=1.44")
if(NOT LIBUV_FOUND)
  message(FATAL_ERROR "libuv >= 1.44 is missing (Debian and Ubuntu: apt-get install libuv1-dev; Fedora: dnf install libuv-devel)")
endif()

include(CheckIPOSupported)
check_ipo_supported(RESULT loopproof_ipo OUTPUT loopproof_ipo_reason LANGUAGES C)
