"""Which sections of the documents make which page of the site: (document, heading) in order.

A heading takes everything below it down to the next heading that has a page of its own.
"""

GUIDE, HOW = "docs/guide.md", "CONTRIBUTING.md"

JOBS: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "start.md": ("Start in five minutes", ((GUIDE, "The main job, step by step"), (GUIDE, "Without make"))),
    "jobs/pictures.md": (
        "Your own data and models",
        (
            (GUIDE, "Your own model"),
            (GUIDE, "Your own data"),
            (GUIDE, "Files that name programs"),
            (GUIDE, "Weights"),
            (GUIDE, "Preprocessing"),
            (GUIDE, "Data from Python"),
            (GUIDE, "Published data"),
            (GUIDE, "Translation, strings and moving pictures"),
        ),
    ),
    "jobs/tables.md": ("A table: numbers and several labels", ((GUIDE, "Regression and several labels"),)),
    "jobs/transformers.md": (
        "A transformers model",
        ((GUIDE, "A folder of transformers"), (GUIDE, "A tag for each word")),
    ),
    "jobs/teachers.md": (
        "Teachers that are no networks",
        (
            (GUIDE, "A teacher that is not a PyTorch network"),
            (GUIDE, "A teacher behind an address"),
            (GUIDE, "A teacher that is nothing but its answers"),
        ),
    ),
    "jobs/start-from-teacher.md": (
        "Where the student starts",
        (
            (GUIDE, "A default that decides"),
            (GUIDE, "A student that starts from its teacher"),
            (GUIDE, "A student cut out of its teacher"),
        ),
    ),
    "jobs/device.md": ("A device budget", ((GUIDE, "Shipping a student"),)),
    "jobs/answers.md": ("Answers to files of your own", ((GUIDE, "Answers to files of your own"),)),
    "jobs/compare.md": ("Compare fairly", ((GUIDE, "Reading a card"), (GUIDE, "Why the student gained"))),
    "jobs/method.md": (
        "Write a method",
        ((GUIDE, "The general model"), (GUIDE, "The pieces alone"), (HOW, "How to add a method")),
    ),
    "jobs/task.md": ("Write a task", ((HOW, "How to add a task"), (HOW, "How to add a reader, a format, a column"))),
    "jobs/other.md": ("Other shapes of distillation", ((GUIDE, "Other shapes of distillation"),)),
    "running/settings.md": ("Settings", ((GUIDE, "Settings, three ways"), (GUIDE, "Augmentation and stored teacher answers"))),
    "running/folder.md": (
        "The run folder",
        ((GUIDE, "The run folder, file by file"), (GUIDE, "Resume"), (GUIDE, "Several processes")),
    ),
}
LEFT_OUT = {  # sections of the guide that lead to a page of its own
    "Language models": "jobs/language.md",
    "Your own model, data, weights and preprocessing": "jobs/pictures.md",
    "The surveys' systems": "evidence/surveys.md",
}
COPIED = {  # page of the site -> document
    "jobs/language.md": "docs/language.md",
    "jobs/encoders.md": "docs/encoders.md",
    "evidence/index.md": "docs/evidence.md",
    "evidence/comparisons.md": "docs/comparisons.md",
    "evidence/runtimes.md": "docs/runtimes.md",
    "evidence/gpu.md": "docs/gpu.md",
    "reference/losses.md": "docs/losses.md",
    "running/pages.md": "docs/pages.md",
    "glossary.md": "docs/glossary.md",
    "security.md": "SECURITY.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
MADE = {"methods/index.md": "docs/methods.md"}  # made anew for the site; links to the document lead there
PARTS = (
    "data",
    "models",
    "tasks",
    "metrics",
    "transforms",
    "connectors",
    "deploy",
    "engine",
)  # of the API, beside limbeck itself
