"""``deltawire chaos``: random faults hit a pipeline for a while, and scripts judge the events that its handlers got.

``schedule`` makes the list of actions from a seed (pure), ``shape`` is the config that they change (pure), ``driver``
carries them out on real processes, and ``outside`` holds the scripts that write, watch, record and judge. They
import nothing of the project.

Not here: promises about the pipeline itself (docs/guarantees.md). Only what any user can see is judged.
"""
