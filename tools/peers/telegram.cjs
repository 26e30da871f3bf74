const TelegramServer = require("telegram-test-api");

new TelegramServer({ port: Number(process.env.PORT), host: "localhost", storeTimeout: 3600 }).start();
