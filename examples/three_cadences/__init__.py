"""Three cadences, one mart: a day of Kafka batches, REST pulls and a nightly load, and what goes wrong in it."""
