import os
from datetime import timedelta

from celery import Celery

app = Celery("shop", broker=os.environ["SHOP_BROKER"], backend=os.environ["SHOP_BROKER"])
app.conf.beat_schedule = {"greet": {"task": "shop.greet", "schedule": timedelta(seconds=1), "args": ("beat",)}}

FEEDS = {"news": 3, "weather": 2}


@app.task
def greet(name):
    return f"hello {name}"


@app.task
def fetch_all():
    for name in FEEDS:
        fetch.delay(name)


@app.task
def fetch(name):
    return FEEDS[name]
