"""libevent for Conan 2, in place of its own recipe: libevent's release, compiled by libevent-iocp."""
import os

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, rmdir

required_conan_version = ">=2.0"
SYSTEM_LIBRARIES = ["ws2_32", "shell32", "advapi32", "iphlpapi"]


class LibeventIocp(ConanFile):
    name = "libevent"
    version = "2.1.13"
    description = "An event notification library, on I/O completion ports"
    homepage = "https://libevent.org"
    license = "BSD-3-Clause"
    settings = "os", "arch", "compiler", "build_type"
    options = {"with_openssl": [True, False]}
    default_options = {"with_openssl": True}
    package_type = "static-library"

    def validate(self):
        if self.settings.os != "Windows":
            raise ConanInvalidConfiguration("libevent-iocp is for Windows: use libevent's own recipe elsewhere")

    def export_sources(self):
        # The recipe lies in libevent-iocp's own tree.
        root = os.path.join(self.recipe_folder, "..", "..", "..")
        for pattern in ("CMakeLists.txt", "LICENSE", "backend/*", "bufferevent/*", "compat/*", "tools/cmake/*"):
            copy(self, pattern, root, self.export_sources_folder)

    def requirements(self):
        if self.options.with_openssl:
            self.requires("openssl/[>=3 <4]", transitive_headers=True)

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self)
        # libevent itself is fetched by CMake, by its URL and hash.
        toolchain.cache_variables["LIBEVENT_IOCP_OPENSSL"] = bool(self.options.with_openssl)
        toolchain.cache_variables["LIBEVENT_IOCP_BUILD_TESTS"] = False
        toolchain.generate()
        CMakeDeps(self).generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install()
        copy(self, "*", os.path.join(self.package_folder, "share", "licenses"),
             os.path.join(self.package_folder, "licenses"))
        for folder in ("share", "lib/cmake", "lib/pkgconfig"):
            rmdir(self, os.path.join(self.package_folder, folder))

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "Libevent")
        self.cpp_info.set_property("cmake_file_name_variables_prefix", "LIBEVENT")
        self.component("core", ["event_core"], [])
        self.component("extra", ["event_extra"], ["core"])
        if self.options.with_openssl:
            self.component("openssl", ["event_openssl"], ["core", "openssl::openssl"])

    def component(self, name, libraries, requires):
        info = self.cpp_info.components[name]
        info.set_property("cmake_target_name", f"libevent::{name}")
        info.set_property("pkg_config_name", f"libevent_{name}")
        info.libs = libraries
        info.requires = requires
        info.system_libs = SYSTEM_LIBRARIES
