"""The schedules that beat has for processes: entries of the default scheduler, and rows of schedulers with a database.

`entry` is the schedule of an entry, `stored` reads the store for it. For schedulers with rows there is one adapter a file,
imported when its scheduler runs: `rows` is its contract, `merge` decides, `sync` applies it every second beside beat.
"""
