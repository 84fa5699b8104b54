from missy.cli import main

main()
