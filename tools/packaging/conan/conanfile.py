"""libevent for Conan 2, in place of its own recipe: libevent's release, compiled by libevent-iocp."""
import os

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, get, rmdir

required_conan_version = ">=2.0"
URL = "https://github.com/libevent/libevent/releases/download/release-{0}-stable/libevent-{0}-stable.tar.gz"
SHA256 = "f7e9383b8c0baa81b687e5b5eecc01beefaf1b19b64151d95ed61647fe7a315c"
SYSTEM_LIBRARIES = ["ws2_32", "shell32", "advapi32", "iphlpapi"]


class LibeventIocp(ConanFile):
    name = "libevent"
    version = "2.1.13"
    description = "An event notification library, on I/O completion ports"
    homepage = "https://libevent.org"
    license = "BSD-3-Clause"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False], "with_openssl": [True, False]}
    default_options = {"shared": False, "with_openssl": True}
    package_type = "library"

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

    def source(self):
        get(self, URL.format(self.version), sha256=SHA256, destination="libevent", strip_root=True)

    def generate(self):
        toolchain = CMakeToolchain(self)
        # In the cache, since libevent's tree is looked at before the toolchain is. BUILD_SHARED_LIBS comes with shared.
        toolchain.cache_variables["LIBEVENT_SOURCE_DIR"] = os.path.join(self.source_folder, "libevent").replace("\\", "/")
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
        self.cpp_info.set_property("cmake_additional_variables_prefixes", ["LIBEVENT"])
        self.cpp_info.set_property("pkg_config_name", "libevent")
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
