import sys

from deltawire.fifo.main import main

sys.exit(main())
