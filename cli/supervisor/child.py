"""``python -m deltawire.cli.supervisor.child … --parent PARENT MODULE ARG…``: a module that ends with the supervisor.

For programs that do not know of the supervisor, such as the API server: the request to the kernel has to be
made in the child itself, and after a fork in a program with threads only an exec is safe. What stands before
``--parent`` is for readers of the process table (`cli.orphans`).
"""

import runpy
import sys

from deltawire.common.parent import die_with_parent


def main() -> None:
    at = sys.argv.index("--parent")
    die_with_parent(sys.argv[at + 1])
    sys.argv = sys.argv[at + 2 :]
    module = sys.argv[0]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
