"""``python -m loopproof``: the command."""

import sys

from .command import main

sys.exit(main())
