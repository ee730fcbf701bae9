DROP TABLE settled_reports;
DROP TABLE allowances;
DROP TABLE usage_reports;
