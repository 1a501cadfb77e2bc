import os
from datetime import timedelta

from celery import Celery
from celery_process import Processes

app = Celery("shop", broker=os.environ["SHOP_BROKER"], backend=os.environ["SHOP_BROKER"])
app.conf.beat_schedule = {"greet": {"task": "shop.greet", "schedule": timedelta(seconds=1), "args": ("beat",)}}

processes = Processes(app, backend=os.environ["SHOP_STORE"])

FEEDS = {"news": 3, "weather": 2}


@app.task
def greet(name):
    return f"hello {name}"


@processes.process("fetch", schedule=timedelta(seconds=1))
def fetch(work):
    work.add_stats("articles", FEEDS[work.name])
