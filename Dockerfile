# plimsoll alone, for hosts where it shall not be installed. Make it with `make image`.
FROM scratch
COPY bin/plimsoll bin/plimsoll-images /
ENTRYPOINT ["/plimsoll"]
CMD ["audit"]
