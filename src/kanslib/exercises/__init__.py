"""Ask before showing: exercises, predictions, misconceptions, a learner's progress. Pure, but for a file and the forms.

exercise.py        an exercise, how an answer is parsed and judged
misconceptions.py  how an answer shows a misconception
lab_queries.py     what exercises ask of a lab
catalog/           the exercises, chapter by chapter
progress.py        what a learner has done: a local file, a token
session.py         an exercise, a prediction or a quiz in a notebook
forms.py           the same with radio buttons and sliders: a thin shell
"""
