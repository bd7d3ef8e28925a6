"""What a bot did and was told, in order, in one SQLite file per bot that outlives its process.

The file's shape is in `botkit.journal.database`; it can be read with any SQLite program.
"""

from botkit.journal.database import hold_lock as hold_lock
from botkit.journal.fold import OpenRun as OpenRun
from botkit.journal.fold import OrderFold as OrderFold
from botkit.journal.fold import taken_over as taken_over
from botkit.journal.fold import told_ids as told_ids
from botkit.journal.reader import JournalReader as JournalReader
from botkit.journal.reader import Run as Run
from botkit.journal.reader import last_run_in as last_run_in
from botkit.journal.run_hash import RunHash as RunHash
from botkit.journal.writer import SqliteJournal as SqliteJournal
