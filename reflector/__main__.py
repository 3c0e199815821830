import sys

from deltawire.reflector.main import main

sys.exit(main())
