"""`python -m cosmos_pipelines.cli` is `cosmos`."""

from __future__ import annotations

import sys

from cosmos_pipelines.cli import main

sys.exit(main())
