"""``deltawire chaos``: a pipeline is hit at random for a while, and plain scripts judge what its handlers were told.

``schedule`` makes a list of actions of a seed (pure), ``shape`` is the config that they change (pure), ``driver``
carries them out on real processes, and ``outside`` holds what writes, watches, records and judges: scripts that
import nothing of the project.

Not here: promises about the pipeline itself (docs/guarantees.md); what is judged is what any user can see.
"""
