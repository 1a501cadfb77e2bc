"""Cases that the rows of a store have to pass, for its author: `from celery_process.testing.rows import *`.

They call `atomically` with steps of their own, and look at what another step reads afterwards. The module that imports them
has a fixture `store`, made with the fixture `clock`; see docs/testing.md.
"""

from celery_process.testing.rows.fields import *  # noqa: F403
from celery_process.testing.rows.rig import *  # noqa: F403
from celery_process.testing.rows.runs import *  # noqa: F403
from celery_process.testing.rows.units import *  # noqa: F403
from celery_process.testing.rows.works import *  # noqa: F403
