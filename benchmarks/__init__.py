"""Speed and scale beside Celery's own ways to fan out: ratios taken in one run, since rates alone mean little."""
