"""`python -m host`: the same as `noonsong`."""

import sys

from host.cli import main

sys.exit(main())
