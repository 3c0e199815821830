import sys

from deltawire.informer.main import main

sys.exit(main())
