"""A Conan recipe for the archives of a release: nothing is compiled. packaging/recipes.py fills in conandata.yml."""

import os

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.files import copy, get, rm


class Wsabi(ConanFile):
    name = "wsabi"
    version = "@VERSION@"
    description = "A WebSocket engine (RFC 6455) behind a small, stable C ABI"
    license = "MIT OR Apache-2.0"
    topics = ("websocket", "rfc6455", "permessage-deflate")
    package_type = "library"
    settings = "os", "arch"
    options = {"shared": [True, False]}
    default_options = {"shared": False}

    @property
    def archive(self):
        return self.conan_data["archives"].get(f"{self.settings.os}-{self.settings.arch}")

    def validate(self):
        if self.archive is None:
            there = ", ".join(self.conan_data["archives"])
            raise ConanInvalidConfiguration(f"there is no archive for {self.settings.os}-{self.settings.arch}, but for {there}")

    def build(self):
        get(self, **self.archive, strip_root=True)

    def package(self):
        copy(self, "*", os.path.join(self.build_folder, "include"), os.path.join(self.package_folder, "include"))
        copy(self, "libwsabi*", os.path.join(self.build_folder, "lib"), os.path.join(self.package_folder, "lib"))
        copy(self, "*", os.path.join(self.build_folder, "share", "doc", "wsabi"), os.path.join(self.package_folder, "licenses"))
        # Linkers take the shared one where there are both.
        rm(self, "*.a" if self.options.shared else "*.so*", os.path.join(self.package_folder, "lib"))

    def package_info(self):
        self.cpp_info.libs = ["wsabi"]
        self.cpp_info.set_property("cmake_file_name", "wsabi")
        self.cpp_info.set_property("cmake_target_name", "wsabi::wsabi" if self.options.shared else "wsabi::static")
        if not self.options.shared:
            self.cpp_info.set_property("cmake_target_aliases", ["wsabi::wsabi"])
        self.cpp_info.set_property("pkg_config_name", "wsabi")
        if not self.options.shared and self.settings.os == "Linux":
            self.cpp_info.system_libs = ["util", "rt", "pthread", "m", "dl"]
