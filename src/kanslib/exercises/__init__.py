"""Ask before showing: predictions, exercises, the wrong ideas people have, a learner's progress. Pure but for a file.

exercise.py   what is asked, how an answer is understood and judged
ideas.py      how a wrong idea is recognised in an answer
catalog/      the exercises, chapter by chapter
progress.py   what a learner has done: a local file, a token
desk.py       an exercise or a prediction in a notebook
widgets.py    the same with radio buttons and sliders: a thin shell
"""
