"""Compiles the int8 kernel at install; without a compiler the install goes on and numpy plays."""

import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

sys.path.insert(0, str(Path(__file__).parent))
from quantize.kernel.compile import CompileError, compile_kernel


class BuildKernel(build_ext):
    """A plain shared library, loaded with ctypes: it serves every Python."""

    def get_ext_filename(self, fullname: str) -> str:
        """Without the tag of one Python."""
        return fullname.replace(".", "/") + ".so"

    def build_extension(self, ext: Extension) -> None:
        """Compile, or say why not."""
        output = Path(self.get_ext_fullpath(ext.name))
        output.parent.mkdir(parents=True, exist_ok=True)
        output.unlink(missing_ok=True)  # an older build
        try:
            kernels = compile_kernel(output)
            print("compiled the kernels", ", ".join(kernels))
        except CompileError as error:
            print(f"no kernel was compiled, numpy will play, slower: {error}")
            self.extensions = []


setup(ext_modules=[Extension("quantize._kernel", sources=[])], cmdclass={"build_ext": BuildKernel})
