from deltawire.cli.main import main

main()
