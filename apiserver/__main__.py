from deltawire.apiserver.main import main

raise SystemExit(main())
