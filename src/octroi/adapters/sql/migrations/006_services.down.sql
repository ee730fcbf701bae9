DROP TABLE service_list;
DROP TABLE services;
