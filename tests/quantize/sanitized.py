"""Run pytest on another build of the kernel: python -m tests.quantize.sanitized LIBRARY PYTEST_ARGUMENTS."""

import sys
from pathlib import Path

import pytest

from quantize import kernel_library

if __name__ == "__main__":
    kernel_library.LIBRARY = Path(sys.argv[1])
    assert kernel_library.kernels()
    sys.exit(pytest.main(sys.argv[2:]))
