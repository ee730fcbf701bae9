DROP TABLE approval_list;
DROP TABLE approvals;
