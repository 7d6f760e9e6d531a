//VERSION=3
def setup():
    return {'input': ['B04']}
