DROP TABLE spend_dedupe;
DROP TABLE spends;
DROP TABLE spend_windows;
