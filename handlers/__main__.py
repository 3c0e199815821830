import sys

from deltawire.handlers.main import main

sys.exit(main())
