module longshore.dev/peers/test-service

go 1.26.8
